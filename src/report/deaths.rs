//! How a process really dies: each test runs itself again as a child, and looks at the corpse.
