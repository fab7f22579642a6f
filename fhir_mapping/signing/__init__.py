"""Consent signed at hand: what was wished, the text of it, the Consents that mean exactly that, and the paper."""
