"""Text algorithms: repair, wikitext, HTML, quality. Values in, values out."""
