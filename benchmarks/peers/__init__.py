"""What the service is compared with, as its users would write it."""
