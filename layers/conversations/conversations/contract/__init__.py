"""What a client may send: every item type, the bodies they come in, and how a fault is told."""
