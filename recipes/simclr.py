"""SimCLR (Chen et al. 2020, 2002.05709) on CIFAR, as the SupContrast code trains it.

    python recipes/simclr.py --data cifar10 --encoder resnet50
    python recipes/simclr.py --smoke

Published (README of SupContrast; ResNet-50, 1000 epochs, the linear classifier's best epoch on the test part):
93.6 % on CIFAR-10 and 70.7 % on CIFAR-100. Departures: the learning rate ends at 0 and not at a thousandth; the mean
colour is not subtracted (see setting.py).
"""

from collections.abc import Sequence

from setting import VIEWS, arguments, encoder, judge, knn, load

from cl_explore import methods, nn, train

EPOCHS, BATCH = 1000, 1024
TEMPERATURE = 0.5
# That code multiplies its loss by temperature / 0.07. SGD takes the same steps if instead the learning rate is
# multiplied, and the weight decay divided, by this factor.
SCALE = TEMPERATURE / 0.07
LR, WEIGHT_DECAY = 0.5 * SCALE, 1e-4 / SCALE
LINEAR_LR = 1.0


def main(argv: Sequence[str] | None = None) -> dict[str, float]:
    given = arguments(__doc__, argv, epochs=EPOCHS, batch_size=BATCH)
    seen, unseen = load(given)
    backbone = encoder(given, seen)
    head = nn.projection_head(backbone.out_features, backbone.out_features, 128)
    method = methods.JointEmbedding(backbone, head, "nt_xent", VIEWS, temperature=TEMPERATURE)
    before = knn(method, seen, unseen)
    train.fit(
        method,
        seen,
        epochs=given.epochs,
        batch_size=given.batch_size,
        optimizer="sgd",  # momentum 0.9
        lr=LR * given.batch_size / BATCH,
        weight_decay=WEIGHT_DECAY,
        warmup_epochs=given.warmup_epochs,
        seed=given.seed,
        snapshots=0,
        device=given.device,
        precision=given.precision,
    )
    return judge(given, method, seen, unseen, knn_before=before, linear_lr=LINEAR_LR)


if __name__ == "__main__":
    main()
