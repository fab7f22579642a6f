"""What a verdict says, each sentence once: as it is judged, and as it is read back from the record."""

from __future__ import annotations

from consent.wording import Wording, recognised, worded

# --- not known ------------------------------------------------------------------------------------------------------

UNKNOWN = worded("unknown: %(why)s")
OF_REFERENCE = worded("of the reference photo, %(why)s")
NO_TARGET = worded("unknown without target")
NO_TARGET_WHY = worded("unknown without target: %(why)s")
NO_TARGET_FIRST = worded("unknown without target, and there is no earlier photo of this view")
WITHOUT_TARGET = worded("without target")
WITHOUT_TARGET_WHY = worded("without target: %(why)s")
WITHOUT_TARGET_FIRST = worded("without target, and there is no earlier photo of this view")
NO_REFERENCE = worded("there is no earlier photo of this view")
NO_DETAIL = worded("the reference shows no fine detail")
NO_FACE = worded("no face is seen")
NO_FACE_HERE = worded("no face is seen in this photo")
NO_FACE_THERE = worded("no face is seen in the reference")
TURNED_TOO_FAR = worded("the face is seen from too different a side")
NO_VISION = worded("the extra `vision` is not installed")
NO_NEARNESS = worded("neither a face nor the camera tells how near it was")
NO_DISTANCE = worded("the camera tells no distance")
NOTHING_IN_COMMON = worded("the two photos have no surface in common")
COLOURS_APART = worded("skin and backdrop have changed colour differently")
NO_CARD = worded("the protocol asks for a colour card, and none is seen")
CHEEK_LOST = worded("a cheek is burnt out or hidden")
OTHER_BACKDROP = worded("the backdrop is another one")
FACE_BURNT = worded("a part of the face is burnt out")

# --- sharpness, size ------------------------------------------------------------------------------------------------

AS_SHARP = worded("as sharp as the reference")
SOFTER = worded("softer: %(by)s %% less fine detail than the reference")
ENOUGH_PIXELS = worded("enough pixels")
SMALL = worded("small: %(side)s pixels along the shorter side, %(least)s are needed")
SMALLER = worded("smaller than the reference: %(side)s pixels along the shorter side")

# --- light and colour -----------------------------------------------------------------------------------------------

AS_BRIGHT = worded("as bright as the reference")
BRIGHTER = worded("%(by)s brighter than the reference")
DARKER = worded("%(by)s darker than the reference")
BURNT = worded("too bright: %(share)s of it is burnt out")
SAME_COLOUR = worded("the same colour of light as the reference")
BLUER = worded("bluer by about %(by)s kelvin")
MORE_ORANGE = worded("more orange by about %(by)s kelvin")
CARD_AS_BRIGHT = worded("the colour card is as bright as it should be")
CARD_GREY = worded("the greys of the colour card are grey")
CARD_THAN_ASKED = worded("the greys of the colour card are %(what)s than they should be")
CARD_THAN_BEFORE = worded("the greys of the colour card are %(what)s than on the reference")
CARD_BRIGHTER = worded("%(by)s brighter")
CARD_DARKER = worded("%(by)s darker")
SAME_SIDE = worded("light from the same side")
MORE_LEFT = worded("%(by)s more light on the patient's left side")
MORE_RIGHT = worded("%(by)s more light on the patient's right side")
STANDS_OUT = worded("the face stands out from the backdrop as before")
FLASHED = worded("face %(by)s brighter against the backdrop: a flash, or a lamp in front")
NOT_FLASHED = worded("face %(by)s darker against the backdrop: a flash or lamp is missing")
QUARTER_STOP = worded("a quarter of a stop")
HALF_STOP = worded("half a stop")
THREE_QUARTERS = worded("three quarters of a stop")
ONE_STOP = worded("a stop")
STOPS = worded("%(stops)s stops")

# --- place and pose -------------------------------------------------------------------------------------------------

SAME_DISTANCE = worded("the same distance as the reference")
LARGER = worded("%(by)s %% larger: too near")
SMALLER_FAR = worded("%(by)s %% smaller: too far away")
SAME_PLACE = worded("in the same place as in the reference")
TOO_RIGHT = worded("too far to the right of the picture, by %(by)s %% of its width")
TOO_LEFT = worded("too far to the left of the picture, by %(by)s %% of its width")
TOO_LOW = worded("too far to the bottom of the picture, by %(by)s %% of its width")
TOO_HIGH = worded("too far to the top of the picture, by %(by)s %% of its width")
TURNED_ALIKE = worded("turned as in the reference")
TURNED_LEFT = worded("turned %(by)s to the patient's left")
TURNED_RIGHT = worded("turned %(by)s to the patient's right")
HELD_ALIKE = worded("held as in the reference")
CHIN_HIGH = worded("chin %(by)s too high")
CHIN_LOW = worded("chin %(by)s too low")
UPRIGHT = worded("upright as in the reference")
LEANING_LEFT = worded("leaning %(by)s to the patient's left")
LEANING_RIGHT = worded("leaning %(by)s to the patient's right")
ONE_DEGREE = worded("1 degree")
DEGREES = worded("%(degrees)s degrees")
AS_NEAR = worded("as near as the protocol asks for")
TOO_NEAR = worded("too near: %(found)s, the protocol asks for %(asked)s")
TOO_FAR = worded("too far away: %(found)s, the protocol asks for %(asked)s")
A_RATIO = worded("a ratio of %(ratio)s")
A_DISTANCE = worded("a distance of %(distance)s")

# --- expression -----------------------------------------------------------------------------------------------------

SAME_EXPRESSION = worded("the same expression as in the reference")
ANOTHER_EXPRESSION = worded("%(changes)s than in the reference")
SMILES_MORE = worded("smiles more")
SMILES_LESS = worded("smiles less")
MOUTH_WIDER = worded("mouth is wider")
MOUTH_NARROWER = worded("mouth is narrower")
MOUTH_OPENED = worded("mouth is further open")
MOUTH_CLOSED = worded("mouth is further closed")
BROWS_UP = worded("brows are higher")
BROWS_DOWN = worded("brows are lower")
EYES_OPENED = worded("eyes are further open")
EYES_CLOSED = worded("eyes are further closed")


def unknown(why: str) -> Wording:
    """What is said of an aspect that is not known."""
    return UNKNOWN.of(why=why)


_ALL = tuple(each for each in globals().values() if isinstance(each, Wording))


def read_back(words: str) -> str:
    """What a verdict of the record says, so that it can be said in another language."""
    return recognised(words, _ALL)


def why_unknown(words: str) -> str:
    """Why something is not known, without saying again that it is not."""
    return read_back(words.removeprefix("unknown").lstrip(": "))
