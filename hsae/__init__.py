"""Experiments on what language models represent: name concepts, harvest activations, train dictionaries, judge them.

One word per thing, in code, configuration and tables alike:
concept (a meaning, keyed by sense) · context (a text in which a concept occurs, with its span) · corpus ·
site (a place in the LM: `resid_post.3`) · activation · store (activations on disk) ·
encyclopedia (concept -> statistics and vector) · vector · dictionary (anything that encodes and decodes) ·
latent · code · reconstruction · teacher (read and write vectors, parents) · stage (of refinement) ·
artifact (a result folder with a manifest).
"""
