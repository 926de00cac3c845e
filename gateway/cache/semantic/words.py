"""The words that the guard knows: data, and nothing else. Lower case."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


def _lookup(lines: str) -> Mapping[str, str]:
    """Each line begins with a word and has others that mean it."""
    rows = [line.split() for line in lines.strip().splitlines()]
    return {word.replace("_", " "): row[0] for row in rows for word in row}


def _split(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _numbered(words: Iterable[str], start: int, step: int = 1) -> dict[str, float]:
    return {word: float(start + step * place) for place, word in enumerate(words)}


NUMBERS: Mapping[str, float] = {
    "zero": 0.0,
    "half": 0.5,
    "single": 1.0,
    "twice": 2.0,
    "double": 2.0,
    "triple": 3.0,
    "dozen": 12.0,
    **_numbered("two three four five six seven eight nine ten eleven twelve".split(), 2),
    **_numbered("thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split(), 13),
    **_numbered("twenty thirty forty fifty sixty seventy eighty ninety".split(), 20, 10),
    **_numbered("third fourth fifth sixth seventh eighth ninth tenth".split(), 3),
}
"""`one`, `first` and `second` are left out: they are seldom numbers. `first` has an opposite."""

SCALES: Mapping[str, float] = {
    "hundred": 1e2,
    "thousand": 1e3,
    "k": 1e3,
    "lakh": 1e5,
    "million": 1e6,
    "mn": 1e6,
    "crore": 1e7,
    "billion": 1e9,
    "bn": 1e9,
    "trillion": 1e12,
}

NEGATIONS = _split(
    "not no never none nobody nothing nowhere neither nor without cannot unless except excluding lack lacking avoid ain't"
    " hardly barely scarcely rarely seldom"
    " dont cant wont isnt arent doesnt didnt hasnt havent hadnt shouldnt wouldnt couldnt wasnt werent aint"
)

MONTHS = _lookup("""
january jan
february feb
march
april apr
june jun
july jul
august aug
september sep sept
october oct
november nov
december dec
""")

DAYS = _lookup("""
monday mon mondays
tuesday tue tues tuesdays
wednesday wed wednesdays
thursday thu thur thurs thursdays
friday fri fridays
saturday sat saturdays
sunday sundays
today tonight
tomorrow
yesterday
weekend weekends
weekday weekdays
christmas xmas
easter
halloween
thanksgiving
""")

PERIODS = _lookup("""
second seconds sec secs
minute minutes min mins
hour hours hr hrs hourly
day days daily
week weeks weekly
month months monthly
quarter quarters quarterly
year years yr yrs yearly annual annually annum
decade decades
century centuries
""")

UNITS = _lookup("""
kg kilogram kilograms kilo kilos kgs
gram grams
mg milligram milligrams
lb lbs
pound pounds
ounce ounces oz
ton tons tonne tonnes
km kilometer kilometers kilometre kilometres kms
mile miles
meter meters metre metres
cm centimeter centimeters centimetre centimetres
mm millimeter millimeters millimetre millimetres
inch inches
foot feet ft
yard yards
acre acres
hectare hectares
liter liters litre litres
ml milliliter milliliters millilitre millilitres
gallon gallons
pint pints
cup cups
tablespoon tablespoons tbsp
teaspoon teaspoons tsp
bit bits
byte bytes
kb kilobyte kilobytes
mb megabyte megabytes
gb gigabyte gigabytes
tb terabyte terabytes
pb petabyte petabytes
mbps
gbps
hz hertz
khz
mhz
ghz
watt watts
kw kilowatt kilowatts
kwh
volt volts
amp amps ampere amperes
calorie calories kcal
joule joules
celsius centigrade °c
fahrenheit °f
kelvin
mph
kmh kph
dollar dollars usd $ bucks
euro euros eur €
sterling gbp £
yen jpy ¥
yuan cny rmb
rupee rupees inr rs ₹
franc francs chf
peso pesos
ruble rubles rub
krw
cent cents
percent percentage % pct
""")

SHORT_UNITS = {
    "g": "gram",
    "m": "meter",
    "l": "liter",
    "w": "watt",
    "v": "volt",
    "c": "celsius",
    "f": "fahrenheit",
    "won": "krw",
}
"""Units only where they follow a number."""

FORMATS = _lookup("""
json
yaml yml
xml
csv
html
markdown md
latex
table tabular
bullet bullets bulleted
paragraph paragraphs
sentence sentences
essay essays
poem poems
haiku haikus
limerick limericks
tweet tweets
regex
sql
diagram diagrams
pdf
spreadsheet excel
slides powerpoint
emoji emojis
phd
beginner beginners
""")

LANGUAGES = _lookup("""
english
german
french
spanish
portuguese
italian
dutch
polish
russian
ukrainian
turkish
arabic
hebrew
hindi
bengali
urdu
tamil
telugu
chinese mandarin
cantonese
japanese
korean
vietnamese
thai
indonesian
swedish
norwegian
danish
finnish
greek
czech
hungarian
romanian
latin
swahili
persian farsi
""")

NAMES = _split(
    "python java javascript typescript ruby php rust golang kotlin swift scala perl haskell elixir react vue angular svelte"
    " django flask rails laravel spring nodejs postgres postgresql mysql sqlite mongodb redis oracle mariadb cassandra"
    " kafka rabbitmq docker kubernetes linux windows macos ubuntu debian fedora centos android ios iphone ipad samsung"
    " google apple microsoft amazon facebook instagram twitter whatsapp telegram snapchat tiktok youtube netflix spotify"
    " uber lyft airbnb paypal venmo visa mastercard amex gmail outlook yahoo chrome firefox safari quora reddit linkedin"
    " aws azure gcp github gitlab bitbucket jenkins terraform ansible npm pip malloc calloc realloc bitcoin ethereum"
    " china japan india germany france spain italy england britain scotland ireland canada mexico brazil argentina russia"
    " ukraine poland sweden norway denmark finland turkey egypt israel iran iraq pakistan bangladesh vietnam thailand"
    " indonesia malaysia singapore australia austria switzerland netherlands belgium portugal greece korea nigeria kenya"
    " africa europe asia america london paris berlin madrid rome tokyo beijing shanghai delhi mumbai bangalore moscow"
    " sydney chicago boston seattle dallas houston miami atlanta denver texas california florida alaska hawaii"
)
"""Names that are often written small."""

SAME_NAMES = _lookup("""
usa us america american u.s. u.s.a. united_states
uk britain british u.k. united_kingdom
france french
spain spanish
netherlands dutch
poland polish
denmark danish
sweden swedish
finland finnish
turkey turkish
ireland irish
scotland scottish
wales welsh
england english
greece greek
switzerland swiss
postgresql postgres
javascript js
typescript ts
kubernetes k8s
golang go
nodejs node.js node
eu european_union europe
""")

QUESTIONS = {
    "who": "who",
    "whom": "who",
    "whose": "who",
    "where": "where",
    "when": "when",
    "why": "why",
}
UNLIKE_QUESTIONS = frozenset(
    frozenset(pair)
    for pair in (
        ("who", "where"),
        ("who", "when"),
        ("who", "why"),
        ("who", "amount"),
        ("where", "when"),
        ("where", "why"),
        ("where", "amount"),
        ("when", "amount"),
        ("why", "amount"),
        ("why", "how"),
        ("how", "amount"),
        ("who", "how"),
        ("when", "how"),
        ("where", "why"),
    )
)

STOPWORDS: Mapping[str, frozenset[str]] = {
    "en": _split(
        "the is are was were what how why who when where which do does did can could should would i you my your it of to in"
        " for and or a an with on at from this that be have has will me we they there not about if"
    ),
    "es": _split(
        "el la los las un una de del que qué en es son cómo como por para con mi mis su y o se cuál cuando dónde está puedo al"
    ),
    "fr": _split(
        "le la les un une des de du que qui est sont comment pourquoi pour avec mon ma mes et ou je vous quelle quel où"
        " quand dans puis-je ce c'est quoi au sur ne pas"
    ),
    "de": _split(
        "der die das ein eine einen und oder ist sind wie warum was wer wo wann ich mein meine mit für von zu im auf nicht"
        " den dem des kann man"
    ),
    "pt": _split(
        "o a os as um uma de do da que em é são como por para com meu minha e ou se qual quando onde posso não eu no na"
    ),
    "it": _split(
        "il lo la gli le un una di del della che è sono come perché per con mio mia e o si quale quando dove posso non i al"
    ),
    "nl": _split(
        "de het een en of is zijn hoe waarom wat wie waar wanneer ik mijn met voor van te in op niet kan je dat"
    ),
}

FILLER = _split(
    "a an the is are was were be been do does did can could should would will i you he she it we they me my your his her"
    " its our their of to in on at for from by with and or but if than then that this these those there what which who"
    " how why when where as so such about into please tell give show say know want need get there's what's"
)

SYMMETRIC = _split("and or vs versus & between with nor")
"""What stands between two things is the same from both sides."""

EQUATING = _split("a an the my your his her its our their is are was were be been what which who how why when where")
"""What may also stand between them without saying which does what to the other: `A is B` is `B is A`."""

TURNING = _split("before after than because until till unless if while since instead")
"""What follows one of these is another thing than what precedes it."""

DOERS, DONE_TO = _split("i we he she they"), _split("me us him them")

PERMITTED, REQUIRED = _split("can could may might"), _split("must should shall")
"""What a yes or no is asked about, by its first word: `how should I` is `how can I`."""
