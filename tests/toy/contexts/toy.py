from hsae.config import Part


class Settings(Part):
    count: int
