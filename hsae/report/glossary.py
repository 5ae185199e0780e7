"""What the numbers of the page are, for a reader who comes from elsewhere."""

from hsae.report.markup import Markup, tag

WORDS = {
    "explained variance": "1 − Σ|x − x̂|² / Σ|x − mean|², summed in float64 over the whole test split.",
    "L0": "How many latents are on, on average per token: a count.",
    "dead": """
        Latents that never fired in n tokens. With 95 % confidence such a latent fires in fewer than 3/n
        of them.
        """,
    "CE recovered": """
        (CE with zeros − CE with the reconstruction) / (CE with zeros − CE of the LM untouched). Chance is
        a mean activation in every place.
        """,
    "concept recovery": """
        For each concept the latent that best tells its contexts apart is chosen on some templates (for
        kinds: on some words too) and scored by its AUROC on others; the mean over concepts. Chance is
        what the same search finds when the labels are permuted. An SAE taught by the encyclopedia has met
        every word through its teacher, in the templates that latents are chosen on: for it the templates
        are held out, the words are not.
        """,
    "interval": """
        95 %, in verdicts wider, for the number of claims. By drawing whole documents (for concepts, whole
        groups of siblings) with replacement. Over seeds stands no interval but the least and the
        greatest.
        """,
    "trivial": """
        The claim's null, estimated all over again where the claim cannot hold, passes the same threshold.
        """,
    "baselines": """
        At each SAE's own L0: PCA, as many components a token as the SAE has latents on; random
        directions, as many as the SAE has latents; the SAE before its first step. The mean difference is
        fitted with the labels.
        """,
}


def glossary() -> Markup:
    """Each word with its meaning."""
    rows = [(tag("dt", word), tag("dd", " ".join(meaning.split()))) for word, meaning in WORDS.items()]
    return tag("dl", rows, cls="glossary")
