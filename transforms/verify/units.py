"""The small table of units: what converts into what, and nothing clever."""

from typing import Final, NamedTuple


class Unit(NamedTuple):
    """A unit: what it measures, how many base units it is, and its zero (temperatures)."""

    dimension: str
    factor: float = 1.0
    offset: float = 0.0


_TABLE: Final[dict[str, dict[str, tuple[float, ...]]]] = {
    "length": {
        "m metre metres meter meters": (1.0,),
        "km kilometre kilometres kilometer kilometers": (1e3,),
        "cm centimetre centimetres centimeter centimeters": (1e-2,),
        "mm millimetre millimetres millimeter millimeters": (1e-3,),
        "ft foot feet": (0.3048,),
        "inch inches": (0.0254,),
        "yd yard yards": (0.9144,),
        "mi mile miles": (1609.344,),
        "nmi": (1852.0,),
    },
    "mass": {
        "kg kilogram kilograms kilo kilos": (1.0,),
        "g gram grams gramme grammes": (1e-3,),
        "mg milligram milligrams": (1e-6,),
        "t tonne tonnes": (1e3,),
        "lb lbs pound pounds": (0.45359237,),
        "oz ounce ounces": (0.028349523125,),
    },
    "time": {
        "s sec secs second seconds": (1.0,),
        "min mins minute minutes": (60.0,),
        "h hr hrs hour hours": (3600.0,),
        "day days": (86400.0,),
        "week weeks": (604800.0,),
    },
    "months": {"month months": (1.0,), "year years yr yrs": (12.0,), "decade decades": (120.0,)},
    "area": {
        "m2 sqm": (1.0,),
        "km2 sqkm": (1e6,),
        "cm2": (1e-4,),
        "ha hectare hectares": (1e4,),
        "acre acres": (4046.8564224,),
        "mi2 sqmi": (2589988.110336,),
        "ft2 sqft": (0.09290304,),
    },
    "volume": {"l litre litres liter liters": (1.0,), "ml millilitre millilitres": (1e-3,), "m3": (1e3,)},
    "speed": {
        "m/s": (1.0,),
        "km/h kmh kph": (1 / 3.6,),
        "mph": (0.44704,),
        "knot knots kn": (1852 / 3600,),
    },
    "temperature": {
        "°c celsius centigrade": (1.0, 273.15),
        "°f fahrenheit": (5 / 9, 273.15 - 32 * 5 / 9),
        "kelvin kelvins": (1.0, 0.0),
    },
    "power": {"w watt watts": (1.0,), "kw kilowatt kilowatts": (1e3,), "mw megawatt megawatts": (1e6,)},
    "percent": {"% percent percentage pct": (1.0,)},
    "angle": {"° deg degree degrees": (1.0,)},
    "usd": {"$ usd dollar dollars": (1.0,)},
    "eur": {"€ eur euro euros": (1.0,)},
    "gbp": {"£ gbp": (1.0,)},
    "jpy": {"¥ jpy yen": (1.0,)},
    "inr": {"₹ inr rupee rupees": (1.0,)},
}

UNITS: Final[dict[str, Unit]] = {
    name: Unit(dimension, *numbers)
    for dimension, rows in _TABLE.items()
    for names, numbers in rows.items()
    for name in names.split()
}
"""Unit by its lower-case name or sign."""

PHRASES: Final[tuple[tuple[str, str], ...]] = (
    (r"\bsq(?:uare|\.)?\s*(?:kilomet(?:re|er)s?|km)\b|\bkm\s*(?:\^2|sq\b)", "km2"),
    (r"\bsq(?:uare|\.)?\s*(?:met(?:re|er)s?|m)\b|\bm\^2", "m2"),
    (r"\bsq(?:uare|\.)?\s*(?:miles?|mi)\b|\bmi\^2", "mi2"),
    (r"\bsq(?:uare|\.)?\s*(?:feet|foot|ft)\b|\bft\^2", "ft2"),
    (r"\bcubic\s*met(?:re|er)s?\b|\bm\^3", "m3"),
    (r"\b(?:kilomet(?:re|er)s?|km)\s*(?:per|an|/|p)\s*(?:hour|hr|h)\b", "km/h"),
    (r"\bmiles?\s*(?:per|an|/)\s*hour\b", "mph"),
    (r"\b(?:met(?:re|er)s?|m)\s*(?:per|a|/)\s*(?:second|sec|s)\b", "m/s"),
    (r"\bnautical\s*miles?\b", "nmi"),
    (r"(?:°|\bdegrees?)\s*(?:celsius|centigrade|c\b)|℃", "°c"),
    (r"(?:°|\bdegrees?)\s*(?:fahrenheit|f\b)|℉", "°f"),
    (r"\bper\s*cent\b", "percent"),
    (r"\b(?:us|american)\s*dollars?\b", "usd"),
    (r"\bus\s*\$", "$"),
    (r"\bpounds?\s*sterling\b", "gbp"),
)
"""Units written in several words, as patterns over folded text, and the one name they become."""
