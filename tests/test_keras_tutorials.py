"""Programs as Keras tutorials print them run unchanged but for the package's name; wrong ones end in one clear error.

Each program is a list of code blocks that share one namespace, as a reader would type them in. Data sets are small
stand-ins with the shapes and dtypes of the real ones.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import nngraph
from nngraph import datasets

OLD_SPELLING = pytest.mark.filterwarnings("ignore:.*old spelling", "ignore:.*`lr`", "ignore:.*lr=")


class Fails:
    """A block that must raise, and what the message must say."""

    def __init__(self, code: str, error: type[Exception], *texts: str) -> None:
        self.code, self.error, self.texts = code, error, texts


def run(blocks: list[str | Fails], **given: Any) -> dict[str, Any]:
    space: dict[str, Any] = dict(given)
    for block in blocks:
        if isinstance(block, str):
            exec(compile(block, "<block>", "exec"), space)
            continue
        with pytest.raises(block.error) as caught:
            exec(compile(block.code, "<block>", "exec"), space)
        for text in block.texts:
            assert text in str(caught.value), f"{text!r} is not in: {caught.value}"
    return space


def images(count: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, *shape), dtype=np.uint8)


@pytest.fixture(autouse=True)
def _small_data(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)

    def mnist() -> Any:
        # Reshapes in the programs name 60000 and 10000 rows.
        one = lambda n: (images(n, 28, 28), rng.integers(0, 10, n).astype(np.uint8))  # noqa: E731
        return one(60000), one(10000)

    def cifar10() -> Any:
        one = lambda n: (images(n, 32, 32, 3), rng.integers(0, 10, (n, 1)).astype(np.uint8))  # noqa: E731
        return one(64), one(32)

    def imdb(num_words: int | None = None) -> Any:
        ragged = np.empty(8, object)
        ragged[:] = [list(rng.integers(1, 100, n)) for n in range(3, 11)]
        return (ragged, rng.integers(0, 2, 8)), (ragged, rng.integers(0, 2, 8))

    monkeypatch.setattr(datasets.mnist, "load_data", mnist)
    monkeypatch.setattr(datasets.cifar10, "load_data", cifar10)
    monkeypatch.setattr(datasets.imdb, "load_data", imdb)


CNN = """
from nngraph.datasets import cifar10
from nngraph.models import Sequential
from nngraph.layers import Dense, Dropout, Flatten
from nngraph.layers import Conv2D, MaxPooling2D

(x_train, y_train), (x_test, y_test) = cifar10.load_data()
x_train = x_train / 255
x_test = x_test / 255

model = Sequential()
model.add(Conv2D(32, (3, 3), activation='relu', input_shape=(32, 32, 3)))
model.add(MaxPooling2D(pool_size=(2, 2)))
model.add(Dropout(0.25))
model.add(Conv2D(64, (3, 3), activation='relu'))
model.add(MaxPooling2D(pool_size=(2, 2)))
model.add(Dropout(0.25))
model.add(Flatten())
model.add(Dense(512, activation='relu'))
model.add(Dropout(0.5))
model.add(Dense(10, activation='softmax'))

model.compile(optimizer='adam', loss='categorical_crossentropy', metrics=['accuracy'])
"""

MLP = """
from nngraph.datasets import mnist
from nngraph.models import Sequential
from nngraph.layers import Dense, Dropout
from nngraph.utils import to_categorical

(x_train, y_train), (x_test, y_test) = mnist.load_data()
x_train = x_train.reshape(60000, 784)
x_test = x_test.reshape(10000, 784)
x_train = x_train / 255
x_test = x_test / 255
y_train = to_categorical(y_train, 10)
y_test = to_categorical(y_test, 10)
x_train, y_train, x_test, y_test = x_train[:512], y_train[:512], x_test[:128], y_test[:128]

model = Sequential()
model.add(Dense(128, activation='relu', input_dim=784))
model.add(Dropout(0.5))
model.add(Dense(10, activation='softmax'))
model.compile(optimizer='adam', loss='categorical_crossentropy', metrics=['accuracy'])
model.fit(x_train, y_train, epochs=2, batch_size=128, validation_data=(x_test, y_test))
"""


@OLD_SPELLING
def test_first_steps_with_random_data() -> None:
    run(
        [
            "from nngraph.models import Sequential\nmodel = Sequential()",
            "model.add(layer)",
            Fails("model.add(layer, activation='relu')", TypeError, "activation='relu'", "belongs to the layer"),
            "model.compile(optimizer='adam', loss='mse')",
            "model.compile(optimizer='adam')",
            "import numpy as np\nfrom nngraph.models import Sequential\nfrom nngraph.layers import Dense",
            "model = Sequential()",
            "model.add(Dense(10, input_dim=8, activation='relu'))",
            "model.add(Dense(1, activation='sigmoid'))",
            "model.compile(optimizer='adam', loss='mse')",
            Fails(
                "for i in range(100):\n"
                "    X = np.random.rand(8, 100)\n"
                "    y = np.random.rand(100)\n"
                "    model.fit(X, y, epochs=1, batch_size=10)",
                ValueError,
                "8",
                "100",
                "x",
                "y",
            ),
            Fails("X_test = np.random.rand(8, 1)\ny_pred = model.predict(X_test)", ValueError, "(None, 8)", "(8, 1)"),
        ],
        layer=nngraph.layers.Dense(4),
    )


@OLD_SPELLING
def test_sequential_and_functional_definitions() -> None:
    space = run(
        [
            """
from nngraph.models import Sequential
from nngraph.layers import Dense, Dropout
model = Sequential()
model.add(Dense(64, activation='relu', input_dim=100))
model.add(Dropout(0.5))
model.add(Dense(10, activation='softmax'))
""",
            """
from nngraph.models import Model
from nngraph.layers import Input, Dense, Dropout
input_layer = Input(shape=(100,))
x = Dense(64, activation='relu')(input_layer)
x = Dropout(0.5)(x)
output_layer = Dense(10, activation='softmax')(x)
functional = Model(inputs=input_layer, outputs=output_layer)
""",
        ]
    )
    assert space["model"].count_params() == space["functional"].count_params() == 64 * 101 + 10 * 65


@OLD_SPELLING
def test_a_perceptron_on_images() -> None:
    space = run([MLP])
    assert set(space["model"].history.history) == {"loss", "accuracy", "val_loss", "val_accuracy"}


@OLD_SPELLING
def test_integer_labels_for_categorical_crossentropy() -> None:
    fit = "model.fit(x_train, y_train, epochs=10, batch_size=128, validation_data=(x_test, y_test))"
    run([CNN, Fails(fit, ValueError, "sparse_categorical_crossentropy", "to_categorical(y, 10)")])


@OLD_SPELLING
def test_binary_classification_with_the_old_learning_rate_argument() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(256, 100)), rng.integers(0, 2, 256)
    block = """
from nngraph.models import Sequential
from nngraph.layers import Dense, Dropout
from nngraph.optimizers import Adam
model = Sequential()
model.add(Dense(64, activation='relu', input_dim=100))
model.add(Dropout(0.5))
model.add(Dense(1, activation='sigmoid'))
model.compile(optimizer=Adam(lr=0.001), loss='binary_crossentropy', metrics=['accuracy'])
model.fit(x_train, y_train, epochs=2, batch_size=128, validation_data=(x_test, y_test))
"""
    space = run([block], x_train=x, y_train=y, x_test=x[:32], y_test=y[:32])
    assert float(space["model"].optimizer.learning_rate) == pytest.approx(0.001)


def test_ragged_reviews_cannot_be_divided() -> None:
    block = """
from nngraph.datasets import imdb
(x_train, y_train), (x_test, y_test) = imdb.load_data(num_words=10000)
x_train = x_train / float(len(x_train))
"""
    run([Fails(block, TypeError, "unsupported operand")])


@OLD_SPELLING
def test_scikit_learn_data() -> None:
    space = run(
        [
            """
from nngraph.models import Sequential
from nngraph.layers import Dense
model = Sequential()
model.add(Dense(units=10, input_dim=8, activation='relu'))
model.add(Dense(units=10, activation='relu'))
model.add(Dense(units=1, activation='sigmoid'))
""",
            """
from sklearn.datasets import make_classification
from sklearn.model_selection import train_test_split
X, y = make_classification(n_samples=1000, n_features=8, n_informative=2, n_redundant=0, random_state=42)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.2, random_state=42)
model.compile(optimizer='adam', loss='binary_crossentropy', metrics=['accuracy'])
model.fit(X_train, y_train, epochs=10, batch_size=32)
loss, accuracy = model.evaluate(X_test, y_test)
""",
        ]
    )
    assert space["accuracy"] > 0.7


@OLD_SPELLING
def test_a_layer_of_ones_own_with_the_backend_module() -> None:
    space = run(
        [
            "import nngraph as keras\nfrom nngraph.datasets import mnist\nfrom nngraph.models import Sequential\n"
            "from nngraph.layers import Dense, Flatten\nfrom nngraph.utils import to_categorical",
            """
(x_train, y_train), (x_test, y_test) = mnist.load_data()
x_train = x_train.reshape(-1, 28 * 28).astype('float32') / 255
x_test = x_test.reshape(-1, 28 * 28).astype('float32') / 255
y_train = to_categorical(y_train, 10)
y_test = to_categorical(y_test, 10)
x_train, y_train, x_test, y_test = x_train[:500], y_train[:500], x_test[:100], y_test[:100]
""",
            """
model = Sequential()
model.add(Flatten(input_shape=(28 * 28,)))
model.add(Dense(128, activation='relu'))
model.add(Dense(10, activation='softmax'))
""",
            "model.compile(optimizer='adam', loss='categorical_crossentropy', metrics=['accuracy'])",
            "model.fit(x_train, y_train, epochs=2, batch_size=50)",
            "loss, accuracy = model.evaluate(x_test, y_test)",
            """
from nngraph.layers import Layer
import nngraph.backend as K

class CustomLayer(Layer):
    def __init__(self):
        super(CustomLayer, self).__init__()

    def build(self, input_shape):
        self.w = self.add_weight(shape=(input_shape[-1], 1), initializer='uniform', name='w')
        self.b = self.add_weight(shape=(1,), initializer='uniform', name='b')

    def call(self, inputs):
        return K.dot(inputs, self.w) + self.b

model.add(CustomLayer())
""",
        ]
    )
    assert space["model"].output_shape == (None, 1)
    assert space["model"].predict(np.zeros((2, 784)), verbose=0).shape == (2, 1)


@OLD_SPELLING
def test_thirty_seconds_to_a_model_and_iris() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(64, 100)), np.eye(10)[rng.integers(0, 10, 64)]
    space = run(
        [
            """
from nngraph.models import Sequential
from nngraph.layers import Dense
model = Sequential()
model.add(Dense(units=64, activation='relu', input_dim=100))
model.add(Dense(units=10, activation='softmax'))
""",
            "model.compile(loss='categorical_crossentropy', optimizer='sgd', metrics=['accuracy'])",
            "model.fit(x_train, y_train, epochs=5, batch_size=32)",
            "loss_and_metrics = model.evaluate(x_test, y_test, batch_size=128)",
            "classes = model.predict(x_test, batch_size=128)",
            "model.add(Dense(units=64, activation='relu', input_dim=100))",
            """
from nngraph.models import Sequential
from nngraph.layers import Dense
from nngraph.utils import to_categorical
from sklearn.datasets import load_iris
from sklearn.model_selection import train_test_split
iris = load_iris()
X = iris.data
y = iris.target
y = to_categorical(y)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.2, random_state=42)
model = Sequential()
model.add(Dense(units=64, activation='relu', input_dim=4))
model.add(Dense(units=3, activation='softmax'))
model.compile(loss='categorical_crossentropy',
              optimizer='sgd',
              metrics=['accuracy'])
model.fit(X_train, y_train, epochs=100, batch_size=32)
loss_and_metrics = model.evaluate(X_test, y_test, batch_size=128)
classes = model.predict(X_test, batch_size=128)
""",
            """
from nngraph.models import Sequential
from nngraph.layers import Conv2D, MaxPooling2D, Flatten, Dense
model = Sequential()
model.add(Conv2D(32, (3, 3), activation='relu', input_shape=(28, 28, 1)))
model.add(MaxPooling2D((2, 2)))
model.add(Conv2D(64, (3, 3), activation='relu'))
model.add(MaxPooling2D((2, 2)))
model.add(Conv2D(64, (3, 3), activation='relu'))
model.add(Flatten())
model.add(Dense(64, activation='relu'))
model.add(Dense(10, activation='softmax'))
""",
        ],
        x_train=x,
        y_train=y,
        x_test=x,
        y_test=y,
    )
    assert space["loss_and_metrics"][1] > 0.8
    assert space["classes"].shape == (30, 3)
    assert space["model"].output_shape == (None, 10)


def test_old_spellings_warn_once_each() -> None:
    with pytest.warns(UserWarning, match="input_dim"):
        nngraph.layers.Dense(3, input_dim=2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nngraph.layers.Dense(3)
