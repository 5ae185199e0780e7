"""What an encyclopedia is asked: which concepts are active here, which are near, what two of them share."""
