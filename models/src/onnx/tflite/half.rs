//! Numbers of 16 bits (IEEE 754 binary16), in which the face mesh stores its weights.

/// The same number in 32 bits, which hold every one of 16 exactly.
pub(super) fn widened(half: u16) -> f32 {
    let sign = u32::from(half >> 15) << 31;
    let (exponent, fraction) = (u32::from(half >> 10 & 0x1F), u32::from(half & 0x3FF));
    let magnitude = match (exponent, fraction) {
        (0, 0) => 0,
        // Too small for a leading one: fraction x 2^-24, which 32 bits write with one.
        (0, _) => {
            let shift = fraction.leading_zeros() - 21;
            (113 - shift) << 23 | (fraction << shift & 0x3FF) << 13
        }
        (0x1F, _) => 0xFF << 23 | fraction << 13,
        // The exponent counts from 15 here and from 127 there.
        _ => (exponent + 112) << 23 | fraction << 13,
    };
    f32::from_bits(sign | magnitude)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_numbers() {
        for (half, expected) in [
            (0x0000, 0.0),
            (0x3C00, 1.0),
            (0xC000, -2.0),
            (0x7BFF, 65504.0),
            (0x0400, 6.103_515_6e-5),
            (0x0001, 5.960_464_5e-8),
            (0x03FF, 6.097_555e-5),
            (0x3555, 0.333_251_95),
            (0x7C00, f32::INFINITY),
            (0xFC00, f32::NEG_INFINITY),
        ] {
            assert_eq!(widened(half), expected, "{half:04x}");
        }
        assert!(widened(0x7E00).is_nan() && widened(0x8000).is_sign_negative());
    }

    #[test]
    fn every_number_follows_the_definition() {
        for half in 0..0x7C00_u16 {
            let (exponent, fraction) = (i32::from(half >> 10), f32::from(half & 0x3FF));
            let expected = match exponent {
                0 => fraction * 2.0_f32.powi(-24),
                _ => (1024.0 + fraction) * 2.0_f32.powi(exponent - 25),
            };
            assert_eq!(widened(half), expected, "{half:04x}");
            assert_eq!(widened(half | 0x8000), -expected, "{half:04x}");
        }
    }
}
