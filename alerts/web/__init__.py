"""The web process: REST, WebSocket and the pages, for people who have logged in."""
