"""Does fusion earn its name? Every test split, rival rules, hard subsets, and hostile omnimodels."""
