"""What models write and read: turns and calls, observations, backbones."""
