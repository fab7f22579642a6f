"""What a viewer has drawn, seen from within its page."""

from __future__ import annotations


def colourful(least: int) -> str:
    """A function for the page: whether one of its canvases shows more than so many colours."""
    return """() => [...document.querySelectorAll('canvas')].some(canvas => {
  const small = document.createElement('canvas');
  small.width = small.height = 64;
  const drawing = small.getContext('2d');
  try { drawing.drawImage(canvas, 0, 0, 64, 64); } catch { return false; }
  const data = drawing.getImageData(0, 0, 64, 64).data;
  const seen = new Set();
  for (let i = 0; i < data.length; i += 4) seen.add(data[i] + ',' + data[i + 1] + ',' + data[i + 2]);
  return seen.size > LEAST;
})""".replace("LEAST", str(least))
