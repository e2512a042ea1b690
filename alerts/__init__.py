"""The people side: what was concluded, who may see it, and how it reaches them."""
