"""GOPro: generate and optimize prompts in CLIP using self-supervised learning."""

from cl_explore.claims.paper import Paper

PAPER = Paper(
    slug="gopro",
    title="GOPro: generate and optimize prompts in CLIP using self-supervised learning",
    name="GOPro",
    arxiv="2308.11605",
    year=2023,
    theme="prompts for a frozen image-text model",
    lesson="two_encoders",
)
