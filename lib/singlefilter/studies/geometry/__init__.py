"""What is geometry and what is learnt: the same filters through heads that see more positions, or fewer."""
