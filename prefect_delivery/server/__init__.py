"""The web side: what other servers tell us."""
