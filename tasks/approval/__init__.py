"""Actions that ask a person."""
