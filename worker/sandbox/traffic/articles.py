"""What the shop sells."""

from typing import Final, NamedTuple

_SIZES: Final = ("S", "M", "L", "XL")
_COLOURS: Final = ("bleu marine", "écru", "vert sapin")


class Article(NamedTuple):
    """`options` are names with the values that a customer chooses from."""

    id: int
    name: str
    cents: int
    options: tuple[tuple[str, tuple[str, ...]], ...] = ()


ARTICLES: Final = (
    Article(101, "Marinière en coton bio", 4990, (("Taille", _SIZES), ("Couleur", _COLOURS))),
    Article(102, "Écharpe en laine mérinos", 3900, (("Couleur", _COLOURS),)),
    Article(103, "Chaussettes « Côte d'Opale » (lot de 3)", 1500, (("Pointure", ("36-40", "41-45")),)),
    Article(104, "Café moulu d'Éthiopie", 1250, (("Poids", ("250 g", "500 g", "1 kg")),)),
    Article(105, "Confiture de mirabelles", 640),
    Article(106, "Savon de Marseille 72 %", 495),
    Article(107, "Couteau pliant, manche en olivier", 5200),
    Article(108, "Bougie parfumée figue & cèdre", 2400, (("Poids", ("180 g", "300 g")),)),
    Article(109, "Nappe en lin, 250 cm", 4490, (("Couleur", _COLOURS),)),
    Article(110, "Carte-cadeau 50 €", 5000),
)
