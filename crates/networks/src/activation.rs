//! Activations by their official names, for serde: `#[serde(with = "crate::activation")]`.

use ops::Activation;
use serde::{Deserialize, Deserializer, Serializer, de::Error};

const NAMES: [(&str, Activation); 9] = [
    ("linear", Activation::Linear),
    ("relu", Activation::Relu),
    ("lrelu", Activation::Lrelu),
    ("tanh", Activation::Tanh),
    ("sigmoid", Activation::Sigmoid),
    ("elu", Activation::Elu),
    ("selu", Activation::Selu),
    ("softplus", Activation::Softplus),
    ("swish", Activation::Swish),
];

pub(crate) fn serialize<S: Serializer>(
    activation: &Activation,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let (name, _) = NAMES
        .iter()
        .find(|(_, a)| a == activation)
        .expect("every activation has a name");
    serializer.serialize_str(name)
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Activation, D::Error> {
    let text = String::deserialize(deserializer)?;
    NAMES
        .iter()
        .find(|(name, _)| *name == text)
        .map(|(_, activation)| *activation)
        .ok_or_else(|| {
            let names = NAMES.map(|(name, _)| name).join(", ");
            D::Error::custom(format!("no activation `{text}`; there are {names}"))
        })
}
