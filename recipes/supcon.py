"""SupCon (Khosla et al. 2020, 2004.11362) on CIFAR, as the SupContrast code trains it.

    python recipes/supcon.py --data cifar100 --encoder resnet50
    python recipes/supcon.py --smoke

Published (README of SupContrast; ResNet-50, 1000 epochs, the linear classifier's best epoch on the test part):
96.0 % on CIFAR-10 and 76.5 % on CIFAR-100. Departures: the learning rate ends at 0 and not at a thousandth; the mean
colour is not subtracted (see setting.py).
"""

from collections.abc import Sequence

from setting import arguments, train_and_judge

EPOCHS, BATCH = 1000, 1024
TEMPERATURE = 0.1
# That code multiplies its loss by temperature / 0.07. SGD takes the same steps if instead the learning rate is
# multiplied, and the weight decay divided, by this factor.
SCALE = TEMPERATURE / 0.07
LR, WEIGHT_DECAY = 0.5 * SCALE, 1e-4 / SCALE
LINEAR_LR = 5.0


def main(argv: Sequence[str] | None = None) -> dict[str, float]:
    given = arguments(__doc__, argv, epochs=EPOCHS, batch_size=BATCH)
    lr = LR * given.batch_size / BATCH
    return train_and_judge(
        given, "supcon", {"temperature": TEMPERATURE}, lr=lr, weight_decay=WEIGHT_DECAY, linear_lr=LINEAR_LR
    )


if __name__ == "__main__":
    main()
