//! Tests of JPEGs of every structure: pixels against libjpeg-turbo, cut files, damaged files, kinds that are refused.

mod encoder;
mod golden;
mod mutation;
mod refusals;
mod specs;
mod truncation;
