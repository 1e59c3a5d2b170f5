"""HTML reports with the pictures people look at; reads JSON and media only."""
