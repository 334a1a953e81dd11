//! What the cover shows during a check: colours, and how bright a screen makes them.

/// What one step of a sequence shows outside the cover's panel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shade {
    Off,
    Dim,
    White,
    Warm,
    Cool,
}

/// How much of its light a screen gives. In a dark room all of it makes a face as bright as a camera can tell, and then
/// nothing is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strength {
    #[default]
    Full,
    Third,
    Ninth,
}

impl Strength {
    pub const ALL: [Strength; 3] = [Strength::Full, Strength::Third, Strength::Ninth];

    /// The next weaker one.
    pub fn weaker(self) -> Option<Self> {
        match self {
            Strength::Full => Some(Strength::Third),
            Strength::Third => Some(Strength::Ninth),
            Strength::Ninth => None,
        }
    }

    /// The share of full light that the colours come to.
    fn share(self) -> f64 {
        match self {
            Strength::Full => 1.0,
            Strength::Third => 0.35,
            Strength::Ninth => 0.12,
        }
    }
}

impl Shade {
    pub const ALL: [Shade; 5] = [Shade::Off, Shade::Dim, Shade::White, Shade::Warm, Shade::Cool];

    /// In sRGB. All are exact in RDP's 16-bit colours, too, so that a lit cover looks the same over every codec, and
    /// none is a colour that desktops are filled with.
    pub fn rgb(self, strength: Strength) -> [u8; 3] {
        match (self, strength) {
            (Shade::Off, _) => [0, 0, 0],
            (Shade::White, Strength::Full) => [247, 251, 247],
            (Shade::Dim, Strength::Full) | (Shade::White, Strength::Third) => [156, 158, 156],
            (Shade::Warm, Strength::Full) => [255, 186, 107],
            (Shade::Cool, Strength::Full) => [123, 186, 255],
            (Shade::Dim, Strength::Third) => [99, 97, 99],
            (Shade::Warm, Strength::Third) => [156, 117, 66],
            (Shade::Cool, Strength::Third) => [74, 117, 156],
            (Shade::Dim, Strength::Ninth) => [57, 56, 57],
            (Shade::White, Strength::Ninth) => [90, 97, 90],
            (Shade::Warm, Strength::Ninth) => [99, 69, 33],
            (Shade::Cool, Strength::Ninth) => [41, 69, 99],
        }
    }

    /// How much light of each colour it gives, in units of a white screen of this strength.
    pub fn light(self, strength: Strength) -> [f64; 3] {
        linear(self.rgb(strength)).map(|light| light / strength.share())
    }
}

/// How much light of each colour a screen gives that shows this, 1 = the most it can: the curve of sRGB undone
/// (IEC 61966-2-1).
pub fn linear(rgb: [u8; 3]) -> [f64; 3] {
    rgb.map(|code| {
        let curve = f64::from(code) / 255.0;
        if curve <= 0.040_45 { curve / 12.92 } else { ((curve + 0.055) / 1.055).powf(2.4) }
    })
}

/// Whether a colour is one that a lit cover shows.
pub fn is_light(rgb: [u8; 3]) -> bool {
    let shows = |strength| Shade::ALL.iter().any(|shade| shade.rgb(strength) == rgb);
    rgb != [0; 3] && Strength::ALL.into_iter().any(shows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> impl Iterator<Item = (Shade, Strength)> {
        Shade::ALL.into_iter().flat_map(|shade| Strength::ALL.map(|strength| (shade, strength)))
    }

    #[test]
    fn no_shade_is_a_saturated_red_and_all_are_exact_in_sixteen_bits() {
        for (shade, strength) in all() {
            let [r, g, b] = shade.light(strength);
            assert!(r <= 0.8 * (r + g + b), "{shade:?}");
            let wide = |value: u8, bits: u32| {
                let code = u32::from(value) >> (8 - bits);
                u8::try_from((code << (8 - bits)) | (code >> (2 * bits - 8))).unwrap()
            };
            let [r, g, b] = shade.rgb(strength);
            assert_eq!([wide(r, 5), wide(g, 6), wide(b, 5)], [r, g, b], "{shade:?}");
        }
        assert!(is_light(Shade::Warm.rgb(Strength::Ninth)) && !is_light([0; 3]) && !is_light([255; 3]));
    }

    #[test]
    fn a_weaker_screen_gives_the_same_sequence_of_light() {
        for (shade, strength) in all() {
            for (weak, full) in shade.light(strength).into_iter().zip(shade.light(Strength::Full)) {
                assert!((weak - full).abs() <= 0.1 * full + 0.02, "{shade:?} {strength:?} {weak} {full}");
            }
        }
        assert!((linear([255; 3])[0] - 1.0).abs() < 1e-9 && linear([0; 3])[1].abs() < 1e-9);
        let mut strength = Some(Strength::Full);
        let mut last = f64::INFINITY;
        while let Some(now) = strength {
            let white = linear(Shade::White.rgb(now))[1];
            assert!(white < last / 2.0);
            (last, strength) = (white, now.weaker());
        }
    }
}
