//! Differentiable tensor ops for StyleGAN2 on candle.
