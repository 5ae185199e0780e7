"""Closed-class words of English, contractions split at the apostrophe.

They say nothing of what a sentence is about, and a concept that is named like one (the letter "a", the inch
as "in") cannot be told from it in running text.
"""

FUNCTION_WORDS = frozenset(
    """
    a an the this that these those some any no every each either neither all both half such what which who
    whom whose when where why how and or but nor so yet if unless because since although though while
    whereas than as of at by for with about against between into through during before after above below to
    from up down in out on off over under again further then once here there now i me my mine myself we us
    our ours ourselves you your yours yourself yourselves he him his himself she her hers herself it its
    itself they them their theirs themselves one ones oneself be am is are was were been being have has had
    having do does did done doing can could may might must shall should will would ought not only own same
    too very just also more most much many few less least other another else ever never always often upon
    within without toward towards until till among across along around behind beside besides beyond near per
    via s t d ll m o re ve don didn doesn isn aren wasn weren won wouldn shouldn couldn hasn haven hadn
    """.split()  # noqa: SIM905  a list literal would take eighty lines
)
