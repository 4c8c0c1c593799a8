"""The API's machinery: operations declared once, as routes and as OpenAPI."""
