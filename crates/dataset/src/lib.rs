//! Image dataset zips and folders: reader, writer, loader, sampler.
