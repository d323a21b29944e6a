"""Actions that test."""
