"""Actions that build."""
