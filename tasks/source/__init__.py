"""Source: actions that bring in what is to be delivered."""
