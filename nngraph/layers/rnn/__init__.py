"""Recurrent layers, their cells, and what wraps layers over time."""

from nngraph.layers.rnn.bidirectional import Bidirectional
from nngraph.layers.rnn.conv_lstm import ConvLSTM1D, ConvLSTM2D, ConvLSTM3D
from nngraph.layers.rnn.gru import GRU, GRUCell
from nngraph.layers.rnn.lstm import LSTM, LSTMCell
from nngraph.layers.rnn.rnn import RNN
from nngraph.layers.rnn.simple_rnn import SimpleRNN, SimpleRNNCell
from nngraph.layers.rnn.stacked import StackedRNNCells
from nngraph.layers.rnn.time_distributed import TimeDistributed

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "Bidirectional",
    "ConvLSTM1D",
    "ConvLSTM2D",
    "ConvLSTM3D",
    "GRUCell",
    "LSTMCell",
    "SimpleRNN",
    "SimpleRNNCell",
    "StackedRNNCells",
    "TimeDistributed",
]
