"""Methods that the papers' are compared with, a page each."""
