//! What the organisation lets through, and what a host of its kind needs.

/// What happens on a channel while the session is covered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Nobody can use it, covered or not.
    Closed,
    /// The messages of both sides wait for the uncover.
    Hold,
    /// Neither side's messages go anywhere. Sessions begin covered, so a channel whose ends greet each other once
    /// never comes to life by this rule.
    Drop,
    /// rdpsnd only: both sides go on, and what the host plays is silence.
    Silence,
    /// It knows nothing of the desktop, so it goes on.
    Pass,
}

/// Which security protocols a leg may use ([MS-RDPBCGR] 2.2.1.1.1).
pub mod protocol {
    /// TLS.
    pub const TLS: u32 = 1;
    /// TLS, then CredSSP.
    pub const HYBRID: u32 = 2;
}

/// How one connection is to be relayed. What is not listed is closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// The protocol that the client must use.
    pub client_protocol: u32,
    /// The protocols that the host may choose from.
    pub host_protocols: u32,
    /// Static channels by name. drdynvc is always there.
    pub static_channels: Vec<(String, Rule)>,
    /// Dynamic channels by name.
    pub dynamic_channels: Vec<(String, Rule)>,
    /// Plain bitmaps only: no codecs and no orders that copy what is shown. Hosts that remember what they sent
    /// would otherwise not send again what the cover has overwritten.
    pub plain_bitmaps: bool,
    /// Whether the host may be told to draw nothing while covered. Some cannot go on afterwards.
    pub suppress: bool,
    /// Whether the host may draw by the graphics pipeline ([MS-RDPEGFX]). Some can do nothing else.
    pub graphics: bool,
}

/// The channel in which a client says that its size has changed ([MS-RDPEDISP] 2.1).
pub const DISPLAY_CONTROL: &str = "Microsoft::Windows::RDS::DisplayControl";
/// The channel of the graphics pipeline ([MS-RDPEGFX] 2.1).
pub const GRAPHICS: &str = "Microsoft::Windows::RDS::Graphics";

impl Default for Policy {
    /// A desktop that may change its size, and nothing besides.
    fn default() -> Self {
        Self {
            client_protocol: protocol::TLS,
            host_protocols: protocol::TLS,
            static_channels: Vec::new(),
            dynamic_channels: vec![(DISPLAY_CONTROL.to_owned(), Rule::Hold)],
            plain_bitmaps: true,
            suppress: true,
            graphics: false,
        }
    }
}

impl Policy {
    /// The rule of a static channel.
    #[must_use]
    pub fn static_rule(&self, name: &str) -> Rule {
        // Names of static channels are compared like this by hosts as well.
        let listed = self.static_channels.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        listed.map_or(Rule::Closed, |(_, rule)| *rule)
    }

    /// The rule of a dynamic channel, the graphics pipeline apart.
    #[must_use]
    pub fn dynamic_rule(&self, name: &str) -> Rule {
        if name == GRAPHICS {
            // No list opens it: as any channel, it would draw past the cover.
            return Rule::Closed;
        }
        let listed = self.dynamic_channels.iter().find(|(known, _)| known == name);
        match listed {
            // Silence is known of the static channel only.
            None | Some((_, Rule::Silence)) => Rule::Closed,
            Some((_, rule)) => *rule,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_listed_is_closed() {
        let policy =
            Policy { static_channels: vec![("cliprdr".to_owned(), Rule::Drop)], ..Policy::default() };
        assert_eq!(policy.static_rule("CLIPRDR"), Rule::Drop);
        assert_eq!(policy.static_rule("rdpsnd"), Rule::Closed);
        assert_eq!(policy.dynamic_rule(DISPLAY_CONTROL), Rule::Hold);
        assert_eq!(policy.dynamic_rule("anything"), Rule::Closed);
    }

    #[test]
    fn no_list_opens_the_graphics_pipeline() {
        let dynamic_channels = vec![(GRAPHICS.to_owned(), Rule::Pass)];
        let policy = Policy { dynamic_channels, graphics: true, ..Policy::default() };
        assert_eq!(policy.dynamic_rule(GRAPHICS), Rule::Closed);
    }
}
