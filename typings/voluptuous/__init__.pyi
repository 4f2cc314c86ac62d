# Home Assistant answers `import voluptuous` with probatio: to a type checker they are one, too.
from probatio import *
