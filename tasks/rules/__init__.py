"""Rules: what the conditions of a stage ask before it, after it, or when it fails."""
