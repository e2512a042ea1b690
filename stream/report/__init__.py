"""One recording as a page: what the live floor would have shown of it, and what the rules say."""
