"""The forms in which an English word occurs: plurals of nouns, persons and tenses of verbs.

Rules with the common exceptions. They serve to find a word, not to write one, so where English has a choice
("volcanos", "volcanoes") or a rule would need the stress ("visited", "admitted") both forms count.
"""

import re

IRREGULAR_NOUNS = (
    "man men|woman women|child children|person people persons|foot feet|tooth teeth|goose geese|mouse mice|"
    "louse lice|ox oxen|die dice|penny pennies pence|brother brothers brethren|knife knives|life lives|"
    "wife wives|half halves|leaf leaves|loaf loaves|self selves|shelf shelves|thief thieves|wolf wolves|"
    "calf calves|elf elves|scarf scarves scarfs|hoof hooves hoofs|wharf wharves|sheaf sheaves|datum data|"
    "medium media mediums|bacterium bacteria|phenomenon phenomena|criterion criteria|stimulus stimuli|"
    "nucleus nuclei|fungus fungi funguses|cactus cacti cactuses|radius radii|alumnus alumni|larva larvae|"
    "alga algae|formula formulas formulae|index indexes indices|appendix appendixes appendices|"
    "matrix matrices|vertex vertices"
)
IRREGULAR_VERBS = (
    "be am is are was were been being|have has had having|do does did done doing|go goes went gone going|"
    "arise arose arisen|awake awoke awoken|bear bore borne born|beat beat beaten|become became|begin began "
    "begun|bend bent|bet bet|bind bound|bite bit bitten|bleed bled|blow blew blown|break broke broken|breed "
    "bred|bring brought|build built|burn burnt|burst burst|buy bought|cast cast|catch caught|choose chose "
    "chosen|cling clung|come came|cost cost|creep crept|cut cut|deal dealt|dig dug|draw drew drawn|dream "
    "dreamt|drink drank drunk|drive drove driven|eat ate eaten|fall fell fallen|feed fed|feel felt|fight "
    "fought|find found|flee fled|fling flung|fly flew flown|forbid forbade forbidden|forget forgot "
    "forgotten|forgive forgave forgiven|freeze froze frozen|get got gotten|give gave given|grind ground|grow "
    "grew grown|hang hung|hear heard|hide hid hidden|hit hit|hold held|hurt hurt|keep kept|kneel knelt|know "
    "knew known|lay laid|lead led|lean leant|leap leapt|learn learnt|leave left|lend lent|let let|lie lay "
    "lain|light lit|lose lost|make made|mean meant|meet met|pay paid|put put|quit quit|read read|ride rode "
    "ridden|ring rang rung|rise rose risen|run ran|say said|see saw seen|seek sought|sell sold|send sent|set "
    "set|sew sewn|shake shook shaken|shed shed|shine shone|shoot shot|show shown|shrink shrank shrunk|shut "
    "shut|sing sang sung|sink sank sunk|sit sat|sleep slept|slide slid|sling slung|slit slit|sow sown|speak "
    "spoke spoken|speed sped|spell spelt|spend spent|spill spilt|spin spun|spit spat|split split|spread "
    "spread|spring sprang sprung|stand stood|steal stole stolen|stick stuck|sting stung|stink stank "
    "stunk|stride strode|strike struck stricken|string strung|strive strove striven|swear swore "
    "sworn|sweep swept|swell swollen|swim swam swum|swing swung|take took taken|teach taught|tear tore "
    "torn|tell told|think thought|throw threw thrown|tread trod trodden|understand understood|wake woke "
    "woken|wear wore worn|weave wove woven|weep wept|win won|wind wound|withdraw withdrew withdrawn|wring "
    "wrung|write wrote written"
)


def _table(words: str) -> dict[str, tuple[str, ...]]:
    lines = (line.split() for line in words.split("|"))
    return {first: tuple(rest) for first, *rest in lines}


PLURALS, TENSES = _table(IRREGULAR_NOUNS), _table(IRREGULAR_VERBS)

# the head of "head of state" and "time out of mind" stands before it
PREPOSITION = re.compile(r"[ -](?:of|in|at|on|to|for|by|de|du|la|under|out|with|from)(?=[ -])")
# a consonant, one vowel and a consonant that English doubles: run, running
DOUBLES = re.compile(r"(?:^|.*[^aeiou]|.*qu)[aeiouy][bdfgklmnprtvz]")


def forms(name: str, pos: str) -> tuple[str, ...]:
    """All forms of a name, the name itself first, each once; only nouns and verbs have more than one.

    In a name of several words the head is inflected: the first of a verb's, the last of a noun's or the one
    before its preposition.
    """
    if pos == "n":
        cut = found.start() if (found := PREPOSITION.search(name)) else len(name)
        first = max(name.rfind(" ", 0, cut), name.rfind("-", 0, cut)) + 1
        others = [name[:first] + plural + name[cut:] for plural in plurals(name[first:cut])]
    elif pos == "v":
        head, space, behind = name.partition(" ")
        others = [form + space + behind for form in tenses(head)]
    else:
        others = []
    return tuple(dict.fromkeys([name, *others]))


def plurals(noun: str) -> tuple[str, ...]:
    """The plurals that a noun may have."""
    if noun in PLURALS:
        return PLURALS[noun]
    if noun.endswith("man") and noun != "human" and noun != "German":
        return (noun[:-2] + "en", noun + "s")
    if noun.endswith(("sis", "xis")):
        return (noun[:-2] + "es",)
    return _with_s(noun)


def _with_s(word: str) -> tuple[str, ...]:
    if word.endswith(("s", "x", "z", "ch", "sh")):
        return (word + "es",)
    if word.endswith("y") and word[-2:-1] not in "aeiou":
        return (word[:-1] + "ies",)
    if word.endswith("o"):
        return (word + "s", word + "es")
    return (word + "s",) if word else ()


def tenses(verb: str) -> tuple[str, ...]:
    """The third person, past and participles that a verb may have."""
    third, irregular = _with_s(verb), TENSES.get(verb)
    if irregular and irregular[-1].endswith("ing"):
        return irregular
    past = irregular or tuple(f"{stem}ed" for stem in _stems(verb))
    return (*third, *past, *(f"{stem}ing" for stem in _stems(verb, ing=True)))


def _stems(verb: str, *, ing: bool = False) -> tuple[str, ...]:
    """What -ed is put to, or -ing."""
    if verb.endswith("ie"):
        return (verb[:-2] + "y" if ing else verb[:-1],)
    if verb.endswith("e"):
        return (verb if ing and verb.endswith(("ee", "ye", "oe")) else verb[:-1],)
    if verb.endswith("y") and verb[-2:-1] not in "aeiou":
        return (verb if ing else verb[:-1] + "i",)
    if DOUBLES.fullmatch(verb):
        syllables = len(re.findall("[aeiouy]+", verb))
        return (verb, verb + verb[-1]) if syllables > 1 else (verb + verb[-1],)
    return (verb + "k",) if verb.endswith("ic") else (verb,)
