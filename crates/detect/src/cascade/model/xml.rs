//! Reads a cascade from OpenCV's XML and checks all indices and sizes, so that the evaluation needs no checks.

use roxmltree::{Document, Node as Xml, ParsingOptions};

use super::{Features, HaarFeature, Model, Node, Stage, Test, Tree};

/// Subtracted from each stage threshold, as OpenCV does.
const THRESHOLD_SLACK: f32 = 1e-5;
const MAX_WINDOW: usize = 512;
/// Largest number of nodes of the XML tree; the largest known cascade has a tenth of it.
const MAX_XML_NODES: u32 = 4_000_000;
const LBP_PATTERNS: usize = 256;

impl Model {
    /// Parses the text of an XML file; the error describes the problem.
    pub fn parse(text: &str) -> Result<Self, String> {
        let options = ParsingOptions {
            allow_dtd: false,
            nodes_limit: MAX_XML_NODES,
            ..ParsingOptions::default()
        };
        let document = Document::parse_with_options(text, options).map_err(|error| {
            let ended = text.trim_end_matches(|c: char| c == '\0' || c.is_whitespace());
            match text.contains("<opencv_storage") && !ended.ends_with("</opencv_storage>") {
                true => "is cut short: </opencv_storage> is missing, fetch it again".to_owned(),
                false => format!("is not XML: {error}"),
            }
        })?;
        let storage = document.root_element();
        if !storage.has_tag_name("opencv_storage") {
            return Err(format!(
                "is not a cascade of OpenCV: <{}> instead of <opencv_storage>",
                storage.tag_name().name()
            ));
        }
        let Some(cascade) = storage
            .children()
            .find(|node| child(*node, "stages").is_some())
        else {
            return Err("holds no cascade: no element with <stages>".into());
        };
        if cascade.attribute("type_id") == Some("opencv-haar-classifier") {
            return Err(
                "is an old-style Haar cascade: bring it to the new style with OpenCV's \
                        CascadeClassifier.convert(old, new)"
                    .into(),
            );
        }
        let stage_type = text_of(cascade, "stageType")?;
        if stage_type != "BOOST" {
            return Err(format!(
                "stageType {stage_type:?} is not supported: only BOOST"
            ));
        }
        let side = |name| match number::<usize>(cascade, name)? {
            side @ 3..=MAX_WINDOW => Ok(side),
            side => Err(format!(
                "<{name}> of the window is {side}: 3 to {MAX_WINDOW} are possible"
            )),
        };
        let window = (side("width")?, side("height")?);
        let features = required(cascade, "features")?;
        let features = match text_of(cascade, "featureType")?.as_str() {
            "LBP" => Features::Lbp(
                items(features)
                    .map(|item| lbp_feature(item, window))
                    .collect::<Result<_, _>>()?,
            ),
            "HAAR" => Features::Haar(
                items(features)
                    .map(|item| haar_feature(item, window))
                    .collect::<Result<_, _>>()?,
            ),
            other => {
                return Err(format!(
                    "featureType {other:?} is not supported: only LBP and HAAR"
                ));
            }
        };
        let n_features = match &features {
            Features::Lbp(features) => features.len(),
            Features::Haar(features) => features.len(),
        };
        let is_lbp = matches!(features, Features::Lbp(_));
        let patterns = required(cascade, "featureParams")
            .and_then(|params| number::<usize>(params, "maxCatCount"))?;
        if patterns != if is_lbp { LBP_PATTERNS } else { 0 } {
            return Err(format!(
                "maxCatCount is {patterns}: {LBP_PATTERNS} belongs to LBP, 0 to HAAR"
            ));
        }
        let mut model = Self {
            window,
            stages: Vec::new(),
            trees: Vec::new(),
            nodes: Vec::new(),
            leaves: Vec::new(),
            features,
        };
        for (index, stage) in items(required(cascade, "stages")?).enumerate() {
            model
                .add_stage(stage, is_lbp, n_features)
                .map_err(|message| format!("stage {index}: {message}"))?;
        }
        if model.stages.is_empty() {
            return Err("has no stages".into());
        }
        Ok(model)
    }

    /// Whether every tree is a stump: one node with two leaves.
    pub fn is_stumps(&self) -> bool {
        self.nodes.len() == self.trees.len()
    }

    fn add_stage(
        &mut self,
        stage: Xml<'_, '_>,
        is_lbp: bool,
        n_features: usize,
    ) -> Result<(), String> {
        let first = self.trees.len();
        for (index, tree) in items(required(stage, "weakClassifiers")?).enumerate() {
            self.add_tree(tree, is_lbp, n_features)
                .map_err(|message| format!("tree {index}: {message}"))?;
        }
        let threshold = finite(number::<f32>(stage, "stageThreshold")?)? - THRESHOLD_SLACK;
        self.stages.push(Stage {
            trees: first..self.trees.len(),
            threshold,
        });
        Ok(())
    }

    fn add_tree(
        &mut self,
        tree: Xml<'_, '_>,
        is_lbp: bool,
        n_features: usize,
    ) -> Result<(), String> {
        let nodes = text_of(tree, "internalNodes")?;
        let words: Vec<&str> = nodes.split_ascii_whitespace().collect();
        let step = if is_lbp { 3 + LBP_PATTERNS / 32 } else { 4 };
        if words.is_empty() || !words.len().is_multiple_of(step) {
            return Err(format!(
                "<internalNodes> holds {} numbers, which is no multiple of {step}",
                words.len()
            ));
        }
        let leaves: Vec<f32> = numbers(&text_of(tree, "leafValues")?)?;
        let n_nodes = words.len() / step;
        if leaves.len() != n_nodes + 1 {
            return Err(format!(
                "{} leaves for {n_nodes} nodes: one more than nodes is needed",
                leaves.len()
            ));
        }
        self.trees.push(Tree {
            nodes: self.nodes.len(),
            leaves: self.leaves.len(),
        });
        for (index, words) in words.chunks_exact(step).enumerate() {
            let child = |word| match parsed::<i32>(word)? {
                // Children must come after their parents, which excludes cycles.
                node if node > 0 && (node as usize <= index || node as usize >= n_nodes) => {
                    Err(format!("node {index} points to node {node}, of {n_nodes}"))
                }
                leaf if leaf.unsigned_abs() as usize > n_nodes => Err(format!(
                    "node {index} points to leaf {leaf}, of {}",
                    n_nodes + 1
                )),
                child => Ok(child),
            };
            let feature = parsed::<usize>(words[2])?;
            if feature >= n_features {
                return Err(format!(
                    "node {index} asks for feature {feature}, of {n_features}"
                ));
            }
            let test = if is_lbp {
                let mut patterns = [0u32; 8];
                for (bits, word) in patterns.iter_mut().zip(&words[3..]) {
                    *bits = parsed::<i32>(word)? as u32;
                }
                Test::OneOf(patterns)
            } else {
                Test::Below(finite(parsed(words[3])?)?)
            };
            self.nodes.push(Node {
                feature,
                left: child(words[0])?,
                right: child(words[1])?,
                test,
            });
        }
        for leaf in leaves {
            self.leaves.push(finite(leaf)?);
        }
        Ok(())
    }
}

fn lbp_feature(item: Xml<'_, '_>, window: (usize, usize)) -> Result<[usize; 4], String> {
    let rect = rectangle(&numbers::<usize>(&text_of(item, "rect")?)?)?;
    let [x, y, width, height] = rect;
    if x + 3 * width > window.0 || y + 3 * height > window.1 {
        return Err(format!(
            "LBP cells {rect:?} leave the window of {} x {}",
            window.0, window.1
        ));
    }
    Ok(rect)
}

fn haar_feature(item: Xml<'_, '_>, window: (usize, usize)) -> Result<HaarFeature, String> {
    let is_tilted = match child(item, "tilted") {
        Some(_) => number::<u8>(item, "tilted")? != 0,
        None => false,
    };
    let mut parts = Vec::new();
    for part in items(required(item, "rects")?) {
        let text = all_text(part);
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        let [x, y, width, height, weight] = words[..] else {
            return Err(format!(
                "a Haar rectangle has {} numbers instead of 5",
                words.len()
            ));
        };
        let rect = rectangle(&[parsed(x)?, parsed(y)?, parsed(width)?, parsed(height)?])?;
        let [x, y, width, height] = rect;
        let is_inside = if is_tilted {
            x >= height && x + width <= window.0 && y + width + height <= window.1
        } else {
            x + width <= window.0 && y + height <= window.1
        };
        if !is_inside {
            return Err(format!(
                "Haar rectangle {rect:?} leaves the window of {} x {}",
                window.0, window.1
            ));
        }
        parts.push((rect, finite(parsed::<f32>(weight)?)?));
    }
    if !(1..=3).contains(&parts.len()) {
        return Err(format!(
            "a Haar feature has {} rectangles instead of 2 or 3",
            parts.len()
        ));
    }
    Ok(HaarFeature { parts, is_tilted })
}

fn rectangle(values: &[usize]) -> Result<[usize; 4], String> {
    match *values {
        [x, y, width, height]
            if values.iter().all(|&v| v <= MAX_WINDOW) && width > 0 && height > 0 =>
        {
            Ok([x, y, width, height])
        }
        _ => Err(format!("{values:?} is not a rectangle")),
    }
}

fn child<'a, 'i>(node: Xml<'a, 'i>, name: &str) -> Option<Xml<'a, 'i>> {
    node.children().find(|child| child.has_tag_name(name))
}

fn required<'a, 'i>(node: Xml<'a, 'i>, name: &str) -> Result<Xml<'a, 'i>, String> {
    child(node, name).ok_or_else(|| format!("<{}> has no <{name}>", node.tag_name().name()))
}

/// The entries of a list, which are elements named `_`.
fn items<'a, 'i>(node: Xml<'a, 'i>) -> impl Iterator<Item = Xml<'a, 'i>> {
    node.children().filter(|child| child.has_tag_name("_"))
}

/// The text of an element; parts that are separated by comments are joined.
fn all_text(node: Xml<'_, '_>) -> String {
    node.children()
        .filter(|child| child.is_text())
        .filter_map(|child| child.text())
        .collect()
}

fn text_of(node: Xml<'_, '_>, name: &str) -> Result<String, String> {
    Ok(all_text(required(node, name)?).trim().to_owned())
}

fn number<T: std::str::FromStr>(node: Xml<'_, '_>, name: &str) -> Result<T, String> {
    parsed(&text_of(node, name)?).map_err(|message| format!("<{name}>: {message}"))
}

fn numbers<T: std::str::FromStr>(text: &str) -> Result<Vec<T>, String> {
    text.split_ascii_whitespace().map(parsed).collect()
}

fn parsed<T: std::str::FromStr>(word: &str) -> Result<T, String> {
    // OpenCV writes floats without a fraction as `3.`, which Rust accepts.
    word.parse()
        .map_err(|_| format!("{word:?} is not a number of the kind that belongs here"))
}

fn finite(value: f32) -> Result<f32, String> {
    if value.is_finite() {
        Ok(value)
    } else {
        Err(format!("{value} where a finite number belongs"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STUMPS: &str = include_str!("../../../tests/data/lbp_stumps.xml");
    const TREES: &str = include_str!("../../../tests/data/haar_trees.xml");

    #[test]
    fn a_cut_file_is_named_for_what_it_is() {
        let whole = STUMPS.trim_end().len();
        for length in [STUMPS.find("<stages").unwrap(), whole / 2, whole - 1] {
            for tail in ["", "\0\0\0", "\n"] {
                let text = format!("{}{tail}", &STUMPS[..length]);
                let error = Model::parse(&text).unwrap_err();
                assert!(error.contains("cut short"), "{length}: {error}");
            }
        }
        assert!(Model::parse("<a>").unwrap_err().contains("is not XML"));
    }

    #[test]
    fn a_cascade_is_read() {
        let model = Model::parse(STUMPS).unwrap();
        assert_eq!(
            (model.window, model.stages.len(), model.trees.len()),
            ((24, 24), 2, 3)
        );
        assert!(model.is_stumps());
        assert!(!Model::parse(TREES).unwrap().is_stumps());
    }

    #[test]
    fn truncated_files_are_errors() {
        for text in [STUMPS, TREES] {
            for end in 0..text.trim_end().len() - 1 {
                assert!(Model::parse(&text[..end]).is_err(), "cut at {end}");
            }
        }
    }

    #[test]
    fn wrong_numbers_are_errors_that_name_them() {
        let broken = |text: &str, from: &str, to: &str| {
            assert!(text.contains(from), "{from}");
            Model::parse(&text.replacen(from, to, 1)).unwrap_err()
        };
        let cases = [
            (STUMPS, "0 -1 0 ", "0 -1 9 ", "feature 9, of 3"),
            (STUMPS, "0 -1 0 ", "0 -1 -1 ", "\"-1\""),
            (STUMPS, "0 -1 0 ", "0 -2 0 ", "leaf -2"),
            (STUMPS, "0 -1 0 ", "0 -1 ", "no multiple"),
            (STUMPS, "0 0 8 8", "0 0 9 8", "leave the window"),
            (STUMPS, "0 0 8 8", "0 0 0 8", "not a rectangle"),
            (
                STUMPS,
                "0 0 8 8",
                "0 0 18446744073709551615 8",
                "not a rectangle",
            ),
            (STUMPS, "<width>24", "<width>99999999", "99999999"),
            (STUMPS, "<maxCatCount>256", "<maxCatCount>100000", "100000"),
            (STUMPS, ">0.5<", ">NaN<", "NaN"),
            (STUMPS, ">LBP<", ">HOG<", "HOG"),
            (STUMPS, ">BOOST<", ">FOREST<", "FOREST"),
            (
                STUMPS,
                "opencv-cascade-classifier",
                "opencv-haar-classifier",
                "old-style",
            ),
            (TREES, "1 0 0 -2.0e-02", "0 0 0 -2.0e-02 0", "no multiple"),
            (TREES, "0 1 1 5.0e-02", "0 2 1 5.0e-02", "node 2, of 2"),
            // A cycle: the second node points back to itself.
            (
                TREES,
                "-1 -2 2 1.0e-02",
                "-1 1 2 1.0e-02",
                "points to node 1",
            ),
            (TREES, "10 3 8 4 -1.", "2 3 8 4 -1.", "leaves the window"),
            (TREES, "6 6 8 8 4.", "6 6 8 8 inf", "inf"),
        ];
        for (text, from, to, named) in cases {
            let message = broken(text, from, to);
            assert!(message.contains(named), "{from} -> {to}: {message}");
        }
    }

    #[test]
    fn other_files_are_errors() {
        for text in [
            "",
            "\0\0",
            "<html><stages/></html>",
            "<opencv_storage/>",
            "<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>",
        ] {
            assert!(Model::parse(text).is_err(), "{text}");
        }
        let deep = "<opencv_storage>".to_owned() + &"<a>".repeat(200_000);
        assert!(Model::parse(&deep).is_err());
        let closed = "<opencv_storage>".to_owned()
            + &"<a>".repeat(100_000)
            + &"</a>".repeat(100_000)
            + "</opencv_storage>";
        assert!(Model::parse(&closed).is_err());
    }
}
