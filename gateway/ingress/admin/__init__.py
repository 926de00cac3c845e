"""The admin plane: aiohttp as everyone writes it, on a port of its own."""
