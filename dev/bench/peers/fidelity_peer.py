"""Images per CPU second of torch-fidelity's Inception on one thread, with the weights it was made with.

    pip install -r requirements-torch.txt torch-fidelity torchvision
    python fidelity_peer.py

The network is theirs, resize included; only the download of its weights is left out, as speed does not depend on them.
"""

import os
import time

os.environ["OMP_NUM_THREADS"] = "1"

import torch
import torch_fidelity
from torch_fidelity import feature_extractor_inceptionv3 as theirs

torch.set_num_threads(1)
theirs.load_state_dict_from_url = lambda *args, **kwargs: {}
theirs.FeatureExtractorInceptionV3.load_state_dict = lambda self, *args, **kwargs: None

network = theirs.FeatureExtractorInceptionV3("inception", ["2048"]).eval()
images = torch.randint(0, 256, (16, 3, 256, 256), dtype=torch.uint8)
best = float("inf")
with torch.no_grad():
    for _ in range(5):
        start = time.process_time()
        network(images)
        best = min(best, time.process_time() - start)
print(f"torch-fidelity {torch_fidelity.__version__}, torch {torch.__version__}: {16 / best:.2f} images/s")
