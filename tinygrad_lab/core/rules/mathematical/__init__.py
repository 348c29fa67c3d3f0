"""Mathematical functions, under the headings of NumPy's documentation."""
