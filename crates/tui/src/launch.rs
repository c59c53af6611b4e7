//! What is offered where nothing runs: system, profile, provider, counts; then `up`, `seed` or the run itself.

/// A profile that can be chosen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProfileChoice {
    /// Its name.
    pub name: String,
    /// System under test.
    pub system: String,
    /// What it is for.
    pub about: String,
    /// Users that it seeds.
    pub users: u64,
    /// Products that it seeds.
    pub products: u64,
}

/// What there is to choose from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Choices {
    /// Profiles.
    pub profiles: Vec<ProfileChoice>,
    /// Who can run the servers.
    pub providers: Vec<String>,
}

/// What shall be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// Servers and topics.
    Up,
    /// Data.
    Seed,
    /// The run: it does the other two itself where that is needed.
    Start,
}

impl What {
    /// As the command is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Seed => "seed",
            Self::Start => "run",
        }
    }
}

/// One choice, ready to be carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// What.
    pub what: What,
    /// Profile.
    pub profile: String,
    /// Provider.
    pub provider: String,
    /// Users to seed.
    pub users: u64,
    /// Products to seed.
    pub products: u64,
}

/// A line of the form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    /// System under test.
    System,
    /// Profile.
    Profile,
    /// Who runs the servers.
    Provider,
    /// Users to seed.
    Users,
    /// Products to seed.
    Products,
    /// Do this.
    Do(What),
}

/// The lines in their order.
pub const LINES: [Line; 8] = [
    Line::System,
    Line::Profile,
    Line::Provider,
    Line::Users,
    Line::Products,
    Line::Do(What::Up),
    Line::Do(What::Seed),
    Line::Do(What::Start),
];

/// The form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form {
    choices: Choices,
    systems: Vec<String>,
    /// Line under the cursor.
    pub line: usize,
    system: usize,
    /// Among the profiles of the system.
    profile: usize,
    provider: usize,
    users: String,
    products: String,
    /// What is being done at the moment.
    pub busy: Option<What>,
}

/// Digits of a count: more people than this are nobody's event.
const MOST_DIGITS: usize = 9;

impl Form {
    /// A form with the first profile chosen.
    pub fn new(choices: Choices) -> Self {
        let mut systems: Vec<String> = Vec::new();
        for profile in &choices.profiles {
            if !systems.contains(&profile.system) {
                systems.push(profile.system.clone());
            }
        }
        let (users, products) = (String::new(), String::new());
        let mut form =
            Self { choices, systems, line: 1, system: 0, profile: 0, provider: 0, users, products, busy: None };
        form.counts();
        form
    }

    /// The same with the profile called `name` chosen, if there is one.
    #[must_use]
    pub fn with_profile(mut self, name: &str) -> Self {
        if let Some(wanted) = self.choices.profiles.iter().find(|p| p.name == name).cloned() {
            self.system = self.systems.iter().position(|s| *s == wanted.system).unwrap_or(0);
            self.profile = self.profiles().iter().position(|p| p.name == name).unwrap_or(0);
            self.counts();
        }
        self
    }

    /// Profiles of the chosen system.
    fn profiles(&self) -> Vec<&ProfileChoice> {
        let system = self.systems.get(self.system);
        self.choices.profiles.iter().filter(|p| Some(&p.system) == system).collect()
    }

    /// The chosen profile.
    pub fn chosen(&self) -> Option<&ProfileChoice> {
        self.profiles().get(self.profile).copied()
    }

    fn counts(&mut self) {
        let counts = self.chosen().map(|p| (p.users.to_string(), p.products.to_string()));
        (self.users, self.products) = counts.unwrap_or_default();
    }

    /// One line down or up.
    pub fn step(&mut self, down: bool) {
        let n = LINES.len();
        self.line = if down { (self.line + 1) % n } else { (self.line + n - 1) % n };
    }

    /// The next value of the line, or the one before.
    pub fn choose(&mut self, forward: bool) {
        let turn = |at: usize, n: usize| match n {
            0 => 0,
            n if forward => (at + 1) % n,
            n => (at + n - 1) % n,
        };
        match LINES[self.line] {
            Line::System => {
                self.system = turn(self.system, self.systems.len());
                self.profile = 0;
                self.counts();
            }
            Line::Profile => {
                self.profile = turn(self.profile, self.profiles().len());
                self.counts();
            }
            Line::Provider => self.provider = turn(self.provider, self.choices.providers.len()),
            Line::Users | Line::Products | Line::Do(_) => {}
        }
    }

    /// A digit, where a count is asked for.
    pub fn digit(&mut self, digit: char) {
        if let Some(text) = self.count_mut()
            && digit.is_ascii_digit()
            && text.len() < MOST_DIGITS
        {
            text.push(digit);
        }
    }

    /// Takes the last digit back.
    pub fn backspace(&mut self) {
        if let Some(text) = self.count_mut() {
            text.pop();
        }
    }

    fn count_mut(&mut self) -> Option<&mut String> {
        match LINES[self.line] {
            Line::Users => Some(&mut self.users),
            Line::Products => Some(&mut self.products),
            _ => None,
        }
    }

    /// What Enter asks for: on a line that does something, that; elsewhere the next line.
    pub fn accept(&mut self) -> Option<Order> {
        let Line::Do(what) = LINES[self.line] else {
            self.step(true);
            return None;
        };
        let profile = self.chosen()?;
        Some(Order {
            what,
            profile: profile.name.clone(),
            provider: self.choices.providers.get(self.provider).cloned().unwrap_or_else(|| "auto".into()),
            users: self.users.parse().unwrap_or(profile.users),
            products: self.products.parse().unwrap_or(profile.products),
        })
    }

    /// Label and value of a line.
    pub fn show(&self, line: Line) -> (&'static str, String) {
        match line {
            Line::System => ("system", self.systems.get(self.system).cloned().unwrap_or_else(|| "-".into())),
            Line::Profile => ("profile", self.chosen().map_or_else(|| "-".into(), |p| p.name.clone())),
            Line::Provider => ("provider", self.choices.providers.get(self.provider).cloned().unwrap_or_default()),
            Line::Users => ("users", self.users.clone()),
            Line::Products => ("products", self.products.clone()),
            Line::Do(What::Up) => ("up", "bring up MySQL, Redis and Kafka, make the topics".into()),
            Line::Do(What::Seed) => ("seed", "fill MySQL and Redis, and count what was made".into()),
            Line::Do(What::Start) => ("run", "start the profile: seed, load, drain, verify".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form() -> Form {
        let profile = |name: &str, system: &str, users| ProfileChoice {
            name: name.into(),
            system: system.into(),
            users,
            products: 10,
            ..ProfileChoice::default()
        };
        Form::new(Choices {
            profiles: vec![profile("a", "ecommerce", 1), profile("b", "ecommerce", 2), profile("c", "fcfs", 3)],
            providers: vec!["auto".into(), "native".into()],
        })
    }

    fn go(form: &mut Form, line: Line) {
        form.line = LINES.iter().position(|l| *l == line).unwrap();
    }

    #[test]
    fn profiles_belong_to_their_system_and_bring_their_counts() {
        let mut form = form();
        form.choose(true);
        assert_eq!(form.show(Line::Profile).1, "b");
        assert_eq!(form.show(Line::Users).1, "2");
        form.choose(true);
        assert_eq!(form.show(Line::Profile).1, "a", "c is of another system");
        go(&mut form, Line::System);
        form.choose(false);
        assert_eq!((form.show(Line::Profile).1.as_str(), form.show(Line::Users).1.as_str()), ("c", "3"));
    }

    #[test]
    fn what_was_typed_and_chosen_is_what_is_ordered() {
        let mut form = form().with_profile("b");
        go(&mut form, Line::Users);
        form.backspace();
        "5000".chars().for_each(|c| form.digit(c));
        go(&mut form, Line::Provider);
        form.choose(true);
        assert_eq!(form.accept(), None, "Enter goes on to the next line");
        go(&mut form, Line::Do(What::Seed));
        let order = form.accept().unwrap();
        assert_eq!(
            order,
            Order { what: What::Seed, profile: "b".into(), provider: "native".into(), users: 5_000, products: 10 }
        );
    }

    #[test]
    fn without_profiles_nothing_can_be_ordered() {
        let mut form = Form::new(Choices::default());
        for line in LINES {
            go(&mut form, line);
            form.choose(true);
            form.choose(false);
            assert_eq!(form.accept(), None);
        }
    }
}
