//! Description of a checkpoint file: networks, settings, counts, checksums.

use architecture::NetworkConfig;
use std::path::Path;

use serde::Serialize;
use serde_json::Value as Json;
use sha2::{Digest, Sha256};

use crate::checkpoint::{AugmentPipe, Format, Network, Provenance};
use crate::error::{Error, Result};
use crate::file::{Container, read_checkpoint_bytes, read_tensors_bytes};
use crate::tensor::DType;

/// Summary of the content of a file, without the values of its tensors. Returned by [`describe`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Description {
    /// File name without folders.
    pub file: String,
    /// Size in bytes.
    pub size: u64,
    /// SHA-256 of the file, in hexadecimal.
    pub sha256: String,
    /// Format of the checkpoint; `None` for a file with tensors that is not a checkpoint.
    pub format: Option<Format>,
    /// Container format of a file that is not a checkpoint; `None` for a checkpoint.
    pub container: Option<Container>,
    /// Networks of a checkpoint; empty for other files.
    pub networks: Vec<NetworkDescription>,
    /// Tensors of a file that is not a checkpoint; empty for a checkpoint.
    pub tensors: Vec<TensorDescription>,
    /// The settings of the training set in the form of NVIDIA's code (`training_set_kwargs`).
    pub training_set_kwargs: Option<Json>,
    /// The augmentation pipe of the training run when the file was written.
    pub augment_pipe: Option<AugmentPipe>,
    /// Remarks as in [`Provenance::notes`]; for a file that is not a checkpoint, the reason why it is not one.
    pub notes: Vec<String>,
    /// The provenance of the file that this one was converted from, if this file records it.
    pub converted_from: Option<Provenance>,
}

/// One network of a [`Description`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NetworkDescription {
    /// The key of the network in the file: `G`, `D` or `G_ema`.
    pub key: String,
    /// The architecture of the network.
    pub config: NetworkConfig,
    /// Number of values in the trainable tensors.
    pub num_params: usize,
    /// Number of trainable tensors, and number of other tensors (buffers).
    pub num_tensors: (usize, usize),
    /// The [`weights_checksum`] of the network.
    pub checksum: String,
    /// Settings that the file does not determine, as in [`Network::assumed`].
    pub assumed: Vec<String>,
    /// Whether any value of any tensor is NaN or infinite.
    pub has_non_finite: bool,
}

/// One tensor of a [`Description`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TensorDescription {
    /// Path of the tensor in the saved object.
    pub name: String,
    /// Element type.
    pub dtype: DType,
    /// Size of each axis.
    pub shape: Vec<usize>,
}

/// Reads a file and summarizes its content: the networks of a checkpoint, or the tensors of any other readable file.
///
/// # Errors
/// [`Error::Io`] when the file cannot be read; [`Error::In`] when it can be read neither as a checkpoint nor as a state
/// dict, with the reason why it is no checkpoint.
pub fn describe(path: &Path) -> Result<Description> {
    let data = files::read_input(path, crate::file::MAX_BYTES).map_err(|error| Error::Io {
        path: path.to_owned(),
        error,
    })?;
    let file = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let size = data.len() as u64;
    match read_checkpoint_bytes(&data, &file) {
        Ok(checkpoint) => Ok(Description {
            networks: checkpoint
                .networks()
                .map(|(key, network)| describe_network(key, network))
                .collect(),
            file,
            size,
            sha256: checkpoint.provenance.sha256,
            format: Some(checkpoint.provenance.format),
            container: None,
            tensors: Vec::new(),
            training_set_kwargs: checkpoint.training_set_kwargs,
            augment_pipe: checkpoint.augment_pipe,
            notes: checkpoint.provenance.notes,
            converted_from: checkpoint.provenance.parent.map(|parent| *parent),
        }),
        Err(why) => {
            let Ok(tensors) = read_tensors_bytes(&data) else {
                return Err(why.in_file(path));
            };
            if tensors.tensors.is_empty() {
                return Err(why.in_file(path));
            }
            Ok(Description {
                file,
                size,
                sha256: crate::file::sha256(&data),
                format: None,
                container: Some(tensors.container),
                networks: Vec::new(),
                tensors: tensors
                    .tensors
                    .iter()
                    .map(|(name, t)| TensorDescription {
                        name: name.clone(),
                        dtype: t.dtype,
                        shape: t.shape.clone(),
                    })
                    .collect(),
                training_set_kwargs: None,
                augment_pipe: None,
                notes: vec![format!("no checkpoint: {why}")],
                converted_from: None,
            })
        }
    }
}

fn describe_network(key: &str, network: &Network) -> NetworkDescription {
    NetworkDescription {
        key: key.to_owned(),
        config: network.config.clone(),
        num_params: network.num_params(),
        num_tensors: (network.params.len(), network.buffers.len()),
        checksum: weights_checksum(network),
        assumed: network.assumed.clone(),
        has_non_finite: network
            .tensors()
            .any(|(_, t)| t.to_f32().iter().any(|v| !v.is_finite())),
    }
}

/// SHA-256 of the names, shapes and values of all tensors of a network, in hexadecimal. It does not depend on the
/// format of the file that the network was read from.
pub fn weights_checksum(network: &Network) -> String {
    let mut hash = Sha256::new();
    for (name, tensor) in network.tensors() {
        hash.update(name.as_bytes());
        hash.update(format!(" {:?}\n", tensor.shape));
        hash.update(&tensor.data);
    }
    files::hex(&hash.finalize())
}
