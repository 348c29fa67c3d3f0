"""What is said of a judgement: findings, patterns, blame, audits, tables and pages."""
