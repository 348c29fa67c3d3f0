"""What a gradient is judged by: subjects, slopes, kinks and the properties that must hold."""
