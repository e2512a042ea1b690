"""How the outside world's messages become ours: the schemas, checked at the door."""
